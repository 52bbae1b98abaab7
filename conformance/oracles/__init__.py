"""What decides right and wrong: memory, numbers, written-out references; never the code under test."""
