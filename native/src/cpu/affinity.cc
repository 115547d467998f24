#include "cpu/affinity.h"

#include <pthread.h>

#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include <cstdio>
#include <set>
#include <thread>

namespace precis {

#if defined(__linux__)

namespace {

// The affinity that the process started with: a caller may itself be pinned by another pool.
const cpu_set_t& process_affinity() {
  static const cpu_set_t set = [] {
    cpu_set_t s;
    CPU_ZERO(&s);
    if (sched_getaffinity(getpid(), sizeof s, &s) != 0 || CPU_COUNT(&s) == 0) CPU_SET(0, &s);
    return s;
  }();
  return set;
}

}  // namespace

int most_threads() { return CPU_SETSIZE; }

std::vector<int> physical_cores() {
  std::vector<int> cores;
  std::set<std::string> seen;
  for (int cpu : hardware_threads()) {
    char path[96], siblings[128] = "";
    std::snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
                  cpu);
    if (FILE* file = std::fopen(path, "r")) {
      if (std::fgets(siblings, sizeof siblings, file) == nullptr) siblings[0] = 0;
      std::fclose(file);
    }
    if (siblings[0] == 0 || seen.insert(siblings).second) cores.push_back(cpu);
  }
  return cores;
}

std::vector<int> hardware_threads() {
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (CPU_ISSET(cpu, &process_affinity())) cpus.push_back(cpu);
  }
  return cpus;
}

int cpu_quota() {
  long long limit = -1, period = 100000;
  if (FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    if (std::fscanf(file, "%lld %lld", &limit, &period) != 2) limit = -1;
    std::fclose(file);
  }
  if (limit <= 0 || period <= 0) return 1 << 20;
  const long long cpus = (limit + period - 1) / period;
  return cpus < 1 ? 1 : static_cast<int>(cpus);
}

bool can_pin() { return true; }

int current_thread_id() {
  static thread_local const int id = static_cast<int>(syscall(SYS_gettid));
  return id;
}

void get_affinity(int thread_id, std::vector<uint8_t>* affinity) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(thread_id, sizeof set, &set) != 0) set = process_affinity();
  const auto* bytes = reinterpret_cast<const uint8_t*>(&set);
  affinity->assign(bytes, bytes + sizeof set);
}

void set_affinity(int thread_id, const std::vector<uint8_t>& affinity) {
  (void)sched_setaffinity(thread_id, affinity.size(),
                          reinterpret_cast<const cpu_set_t*>(affinity.data()));
}

void pin(int thread_id, int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  // If a sandbox forbids pinning, the threads still work, but slower.
  (void)sched_setaffinity(thread_id, sizeof set, &set);
}

void name_this_thread(const char* name) { pthread_setname_np(pthread_self(), name); }

#else

int most_threads() { return 1024; }

std::vector<int> physical_cores() {
  int count = 0;
#if defined(__APPLE__)
  // Of the faster kind where there are two: the slower cores would keep the others waiting.
  size_t bytes = sizeof count;
  if (sysctlbyname("hw.perflevel0.physicalcpu", &count, &bytes, nullptr, 0) != 0) count = 0;
#endif
  const std::vector<int> all = hardware_threads();
  const auto cores = static_cast<size_t>(count);
  return cores == 0 || cores > all.size() ? all
                                          : std::vector<int>(all.begin(), all.begin() + count);
}

std::vector<int> hardware_threads() {
  const unsigned count = std::thread::hardware_concurrency();
  std::vector<int> cpus(count == 0 ? 1 : count);
  for (size_t i = 0; i < cpus.size(); i++) cpus[i] = static_cast<int>(i);
  return cpus;
}

int cpu_quota() { return 1 << 20; }

bool can_pin() { return false; }

int current_thread_id() { return 0; }

void get_affinity(int, std::vector<uint8_t>*) {}

void set_affinity(int, const std::vector<uint8_t>&) {}

void pin(int, int) {}

void name_this_thread([[maybe_unused]] const char* name) {
#if defined(__APPLE__)
  pthread_setname_np(name);
#endif
}

#endif

}  // namespace precis
