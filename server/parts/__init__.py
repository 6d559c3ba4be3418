"""How each part of the service is built: a property a part, made when it is first asked for, from others.

So no order has to be kept, and what a part is made of stands in one place. What has to be closed says so where it is
made: whatever it was made of is closed after it. Four files, each of which knows those before it.
"""

from server.parts.operators import OperatorParts as Parts

__all__ = ["Parts"]
