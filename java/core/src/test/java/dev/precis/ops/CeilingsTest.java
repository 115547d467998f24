package dev.precis.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.ops.Ceilings.Loop;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class CeilingsTest {
  private final Ceilings ceilings = new Ceilings();

  @Test
  void everyMachineHasBandwidthAndFloat32() {
    List<Loop> loops = ceilings.loops();
    Set<String> kinds = loops.stream().map(Loop::kind).collect(Collectors.toSet());
    assertTrue(kinds.containsAll(Set.of("read", "update", "float32")), kinds.toString());
    for (Loop loop : loops) {
      double rate = ceilings.measure(loop, null, 1, 1 << 18, 0.01);
      assertTrue(rate > 1e6 && rate < 1e15, loop + ": " + rate);
    }
    assertTrue(ceilings.cacheBytes() >= 1 << 18);
  }

  @Test
  void impossibleMeasurementsAreRefused() {
    Loop read = ceilings.loops().getFirst();
    assertThrows(IllegalStateException.class, () -> ceilings.measure(read, null, 0, 1024, 0));
    assertThrows(IllegalStateException.class, () -> ceilings.measure(read, null, 1, 0, 0));
  }

  @Test
  void coresOfAContext() {
    assertNull(Ceilings.cores("", 1));
    assertNull(Ceilings.cores("0,2", 3));
    assertArrayEquals(new int[] {0, 2}, Ceilings.cores("0,2", 2));
    assertArrayEquals(new int[] {3}, Ceilings.cores("3,1", 1));
  }
}
