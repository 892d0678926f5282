"""What in the source of an agent class replay cannot repeat, told where the class is defined. Pure."""
