"""The processes that serve: one server, or several under a supervisor."""
