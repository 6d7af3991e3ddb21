"""What a server is made of: its calls, workers and slots, health, metrics and logs."""
