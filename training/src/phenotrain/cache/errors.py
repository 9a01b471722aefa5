"""What can be wrong with a cache of pooled fields.

* CacheError
  x CacheMismatchError
"""


class CacheError(ValueError):
    """Raised when a cache is missing, unfinished, damaged, or cannot be written; the message says how to go on."""


class CacheMismatchError(CacheError):
    """Raised when a folder already holds the cache of something else: other sites, images or downsample."""
