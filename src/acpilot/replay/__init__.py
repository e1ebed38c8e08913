"""A recorded session → the game's pages and window, as if it were being driven."""
