"""Networks that read a conversation's features and answer with emotions."""
