"""`make bench`: what the service does per second beside a Tornado that does nothing, and what a page costs."""
