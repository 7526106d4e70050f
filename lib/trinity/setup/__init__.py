"""Setting a PC up: the environment, the client's settings, the services, and whether all of it works.

Standard library only, except where the fleet is written: installing, uninstalling and saying what is wrong must work
when the environment of this checkout is broken.
"""
