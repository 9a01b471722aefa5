"""The cache: every site decoded once, pooled, and mapped from disk ever after."""

from phenotrain.cache.build import build_cache
from phenotrain.cache.errors import CacheError, CacheMismatchError
from phenotrain.cache.field_cache import FieldCache

__all__ = ["CacheError", "CacheMismatchError", "FieldCache", "build_cache"]
