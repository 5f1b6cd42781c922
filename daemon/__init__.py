"""The hub: time, storage, jobs and the operator's surface; the only place where the other packages meet."""
