"""Networks that GSCon is compared with."""
