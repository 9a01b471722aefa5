"""What is read of a request before it is answered: its key, its headers, its body, the order of its channels."""
