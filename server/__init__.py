"""Haoma: sign up and sign in with a Chinese mobile number, live over a websocket."""
