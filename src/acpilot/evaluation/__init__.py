"""How well a policy drives: the practice game, in closed loop."""
