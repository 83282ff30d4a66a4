"""What a person sees: terminal, preview window, report page."""
