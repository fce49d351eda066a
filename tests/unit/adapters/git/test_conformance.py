from thinmesh.adapters.git.data import GitDataRepository
from thinmesh.adapters.git.log import GitLogRepository
from thinmesh.conformance.repository import DataRepositorySuite, LogRepositorySuite


class TestGitDataRepository(DataRepositorySuite):
    def make(self, folder):
        return GitDataRepository.create(folder / "data.git", fsync=False)

    def reopen(self, repository):
        return GitDataRepository(repository.path, fsync=False)


class TestGitLogRepository(LogRepositorySuite):
    def make(self, folder):
        return GitLogRepository.create(folder / "log.git", fsync=False)

    def reopen(self, log):
        return GitLogRepository(log.path, fsync=False)
