"""Search over hardware: machines that no other one beats in several objectives at once."""
