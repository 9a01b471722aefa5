"""What can be wrong with a cache of pooled fields.

* CacheError
  x CacheMismatchError
"""


class CacheError(ValueError):
    """Raised when a cache is missing, unfinished or damaged, or cannot be written; says how to go on."""


class CacheMismatchError(CacheError):
    """Raised when a folder already holds the cache of something else: other sites, images or downsample."""
