"""Packages of plugins: what satisfies their requirements, what a wheel is, what another machine takes. Standard library and pip."""
