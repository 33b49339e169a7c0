"""From a campaign and a site to a job script. No torch, no MPI: it runs on login nodes."""
