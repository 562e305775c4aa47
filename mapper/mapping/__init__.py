"""What a mapping is: loop nests and hardware loops of a problem, and the file that holds one."""
