"""The edge: HTTP and websockets. Handlers declare and delegate."""
