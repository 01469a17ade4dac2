"""Which data directories a program may take."""
