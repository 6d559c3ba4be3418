"""What Haoma is measured against: each a small server of its own, written as its makers' pages show it."""
