"""What people ask of a log, answered by reading: why, where from, how long, what there is. Pure."""
