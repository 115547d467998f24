#include "hopper.h"

#include <map>
#include <vector>

#include "device.h"

namespace precis {
namespace emulation {
namespace {

constexpr uint32_t kBase = 1024 + 128;
constexpr int kRowBytes = 128;

struct TileCopy {
  uint32_t to;
  CUtensorMap map;
  int column, row;
};

struct Barrier {
  uint32_t count, pending;
  int64_t bytes = 0;  // expected and not arrived
  uint32_t phase = 0;
  std::vector<TileCopy> copies;  // pending
};

struct Product {
  float* d;
  int count;
  uint64_t a, b;
  int group;
};
struct Warpgroup {  // the products that one of its threads has started
  std::vector<Product> products;
  int groups = 0;
};

struct Block {
  std::map<uint32_t, Barrier> barriers;
  std::map<uint32_t, Warpgroup> threads;
};

Block& block() {
  std::shared_ptr<void>& state = block_state();
  if (state == nullptr) state = std::make_shared<Block>();
  return *static_cast<Block*>(state.get());
}

unsigned char* memory(uint32_t address, uint32_t bytes) {
  size_t size = 0;
  auto* start = static_cast<unsigned char*>(dynamic_shared(&size));
  if (address < kBase || address - kBase + bytes > size) {
    fail("%u bytes at the shared address %u are outside the %zu bytes at %u", bytes, address, size,
         kBase);
  }
  return start + (address - kBase);
}

// The 128-byte swizzle of an address.
uint32_t swizzled(uint32_t address) { return address ^ (address & 0x380) >> 3; }

Barrier& barrier_at(uint32_t address) {
  const auto found = block().barriers.find(address);
  if (found == block().barriers.end()) fail("there is no barrier at the address %u", address);
  return found->second;
}

void complete(Barrier& b) {
  if (b.pending != 0 || b.bytes != 0) return;
  b.phase ^= 1;
  b.pending = b.count;
  notify(&b);
}

void arrive(Barrier& b, const TileCopy& copy) {
  for (uint32_t r = 0; r < copy.map.box_rows; r++) {
    for (int c = 0; c < kRowBytes / 2; c++) {
      const int64_t row = int64_t{copy.row} + r, column = int64_t{copy.column} + c;
      uint16_t element = 0;
      if (row >= 0 && column >= 0 && row < static_cast<int64_t>(copy.map.rows) &&
          column < static_cast<int64_t>(copy.map.columns)) {
        std::memcpy(&element,
                    static_cast<const unsigned char*>(copy.map.data) +
                        row * static_cast<int64_t>(copy.map.stride_bytes) + 2 * column,
                    2);
      }
      const uint32_t at = swizzled(copy.to + r * kRowBytes + 2 * static_cast<uint32_t>(c));
      std::memcpy(memory(at, 2), &element, 2);
    }
  }
  b.bytes -= int64_t{copy.map.box_rows} * kRowBytes;
}

float bf16(uint16_t bits) { return __uint_as_float(uint32_t{bits} << 16); }

// Reads 16 elements of K in a row of the tile that a descriptor describes.
void read_row(uint64_t descriptor, uint32_t row, float (&v)[16]) {
  const uint32_t start = static_cast<uint32_t>(descriptor & 0x3fff) << 4;
  const uint32_t stride = static_cast<uint32_t>(descriptor >> 32 & 0x3fff) << 4;
  if (descriptor >> 62 != 1 || (descriptor >> 49 & 7) != 0) {
    fail(
        "the descriptor %llx does not describe a tile in the 128-byte swizzle at a multiple of "
        "1024",
        static_cast<unsigned long long>(descriptor));
  }
  for (uint32_t half = 0; half < 2; half++) {
    const uint32_t at = swizzled(start + row / 8 * stride + row % 8 * kRowBytes + 16 * half);
    uint16_t bits[8];
    std::memcpy(bits, memory(at, 16), 16);
    for (int i = 0; i < 8; i++) v[8 * half + i] = bf16(bits[i]);
  }
}

void multiply(const Product& p) {
  const uint32_t warp = threadIdx.x / 32 % 4, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  float a[2][16];
  for (uint32_t half = 0; half < 2; half++) {
    read_row(p.a, 16 * warp + g + 8 * half, a[half]);
  }
  for (int j = 0; j < p.count / 4; j++) {
    for (uint32_t odd = 0; odd < 2; odd++) {
      float b[16];
      read_row(p.b, 8 * static_cast<uint32_t>(j) + 2 * t + odd, b);
      for (uint32_t half = 0; half < 2; half++) {
        float& d = p.d[4 * j + static_cast<int>(2 * half + odd)];
        d = tensor_core_sum(a[half], b, 16, d);
      }
    }
  }
}

Warpgroup& mine() { return block().threads[threadIdx.x]; }

}  // namespace

uint32_t shared_address(const void* p) {
  size_t size = 0;
  const auto* start = static_cast<const unsigned char*>(dynamic_shared(&size));
  return kBase + static_cast<uint32_t>(static_cast<const unsigned char*>(p) - start);
}

void mbarrier_init(uint32_t barrier, uint32_t count) {
  if (barrier % 8 != 0) fail("the address of a barrier, %u, is not a multiple of 8", barrier);
  memory(barrier, 8);
  Barrier b;
  b.count = b.pending = count;
  if (!block().barriers.emplace(barrier, b).second) fail("a barrier is initialized twice");
}

void mbarrier_arrive(uint32_t barrier, uint32_t bytes, const Where& where) {
  Barrier& b = barrier_at(barrier);
  if (b.pending == 0)
    fail("line %u: more threads arrive at a barrier than its count", where.line());
  b.pending--;
  b.bytes += bytes;
  complete(b);
}

void mbarrier_wait(uint32_t barrier, uint32_t parity, const Where& where) {
  Barrier& b = barrier_at(barrier);
  while (b.phase == parity) {
    std::vector<TileCopy> copies;
    copies.swap(b.copies);
    for (const TileCopy& c : copies) arrive(b, c);
    if (!copies.empty()) complete(b);
    if (b.phase == parity) wait_for(&b, "mbarrier_wait", where);
  }
}

void copy_tile(uint32_t to, const CUtensorMap& map, int column, int row, uint32_t barrier) {
  Barrier& b = barrier_at(barrier);
  if (to % 1024 != 0) fail("the address of a tile, %u, is not a multiple of 1024", to);
  std::memset(memory(to, map.box_rows * kRowBytes), 0xff, map.box_rows * kRowBytes);
  b.copies.push_back({to, map, column, row});
  notify(&b);
}

void wgmma(float* d, int count, uint64_t a, uint64_t b) {
  Warpgroup& w = mine();
  w.products.push_back({d, count, a, b, w.groups});
}

void wgmma_commit() { mine().groups++; }

void wgmma_wait(int groups_left, const Where& where) {
  Warpgroup& w = mine();
  std::vector<Product> later;
  for (const Product& p : w.products) {
    if (p.group + groups_left >= w.groups) {
      later.push_back(p);
    } else {
      multiply(p);
    }
  }
  w.products.swap(later);
  warp_operation(
      "wgmma_wait", 0xffffffffu, nullptr, 0, [](Exchange* [32], uint32_t) {}, where);
}

}  // namespace emulation
}  // namespace precis
