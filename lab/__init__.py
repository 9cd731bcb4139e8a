"""A lab of systemd nodes on one machine, wired like the example inventory ubuntu-nested."""
