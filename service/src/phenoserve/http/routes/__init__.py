"""The routes, by what they are for, and what the OpenAPI document says about them."""
