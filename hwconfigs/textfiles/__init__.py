"""Files from outside as text and as plain data: what every reader of the other packages begins with."""
