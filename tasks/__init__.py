"""What happens: observe both systems, plan the difference, act it one recorded write at a time."""
