"""Authentication backends and password hashers for Starlette-based apps, under one name.

Everything here is defined in one of the parts and handed on: starlette-auth-core,
starlette-auth-hashers, starlette-auth-multi, starlette-auth-orm.
"""
