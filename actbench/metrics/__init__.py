"""What is measured. Metrics compute; they never draw and never store."""
