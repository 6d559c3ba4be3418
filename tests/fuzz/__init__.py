"""Broken websocket frames by the million, and what must hold meanwhile."""
