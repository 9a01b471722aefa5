"""How answers are worded."""
