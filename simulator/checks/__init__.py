"""What is refused before a program runs: bad commands, undefined reads, overlapping regions."""
