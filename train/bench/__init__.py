"""What training and answers cost."""
