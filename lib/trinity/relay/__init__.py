"""Where credit, work and fleet meet: from a stopped session to a handoff, from a handoff to a resumed session.

`work` and `fleet` do not know each other. What two programs, or a program and the library's face, need of both is here.
"""
