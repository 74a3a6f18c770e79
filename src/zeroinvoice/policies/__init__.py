"""What happens by itself: each policy reads the journal and answers facts with actions."""
