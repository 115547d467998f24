// Cores and the threads on them, as the operating system knows them. Linux pins threads to cores;
// macOS has no such call, and its scheduler places them.
#ifndef PRECIS_CPU_AFFINITY_H_
#define PRECIS_CPU_AFFINITY_H_

#include <cstdint>
#include <string>
#include <vector>

namespace precis {

// The most threads that a pool may have.
int most_threads();

// Returns the first hardware thread of each physical core that the process may use, and all hardware
// threads that it may use.
std::vector<int> physical_cores();
std::vector<int> hardware_threads();

// Returns the number of CPUs that the control group grants, or a large number.
int cpu_quota();

// True where threads are pinned. Otherwise the functions below do nothing.
bool can_pin();
int current_thread_id();
// Stores what set_affinity restores, in memory that later calls reuse.
void get_affinity(int thread_id, std::vector<uint8_t>* affinity);
void set_affinity(int thread_id, const std::vector<uint8_t>& affinity);
void pin(int thread_id, int core);

// Names the calling thread for debuggers.
void name_this_thread(const char* name);

}  // namespace precis

#endif  // PRECIS_CPU_AFFINITY_H_
