package dev.precis.cli.common;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.InvalidInputException;
import dev.precis.tensor.MemoryPlan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The memory that is left, on systems that are laid out as folders. */
final class AvailableMemoryTest {
  private static final long MB = 1 << 20;

  @TempDir private Path root;

  @BeforeEach
  void aMachine() throws IOException {
    write("proc/meminfo", "MemTotal: 9000000 kB\nMemAvailable:    8192000 kB\n");
    write("proc/self/status", "VmPeak: 999999 kB\nVmRSS:\t  102400 kB\n");
  }

  private void write(String name, String text) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }

  private long left() {
    return new AvailableMemory(root).smallest().bytes();
  }

  @Test
  void withoutLimitsItIsTheMachines() throws IOException {
    assertEquals(8000 * MB, left());
    assertEquals(100 * MB, new AvailableMemory(root).resident());
    write("proc/self/cgroup", "0::/user.slice\n");
    write("sys/fs/cgroup/user.slice/memory.max", "max\n");
    write("sys/fs/cgroup/user.slice/memory.current", "1000000\n");
    assertEquals(8000 * MB, left());
    assertEquals(Long.MAX_VALUE, new AvailableMemory(root.resolve("none")).smallest().bytes());
  }

  @Test
  void theSmallestOfNestedGroupsCounts() throws IOException {
    write("proc/self/cgroup", "0::/outer/inner\n");
    write("sys/fs/cgroup/outer/memory.max", 2000 * MB + "\n");
    write("sys/fs/cgroup/outer/memory.current", 1500 * MB + "\n");
    write("sys/fs/cgroup/outer/memory.stat", "anon 5\ninactive_file " + 100 * MB + "\n");
    write("sys/fs/cgroup/outer/inner/memory.max", 1000 * MB + "\n");
    write("sys/fs/cgroup/outer/inner/memory.current", 10 * MB + "\n");
    assertEquals(600 * MB, left());
  }

  @Test
  void aGroupOfVersionOneCounts() throws IOException {
    write("proc/self/cgroup", "12:cpu,cpuacct:/x\n4:memory:/docker/abc\n");
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", "5\n");
    write("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", 512 * MB + "\n");
    write("sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", 112 * MB + "\n");
    assertEquals(400 * MB, left());
  }

  @Test
  void inAContainerTheMountedGroupIsFound() throws IOException {
    write("proc/self/cgroup", "0::/../../host/path\n");
    write("sys/fs/cgroup/memory.max", 300 * MB + "\n");
    write("sys/fs/cgroup/memory.current", 100 * MB + "\n");
    assertEquals(200 * MB, left());
  }

  @Test
  void aPlanThatDoesNotFitIsRefusedWithItsNumbers() throws IOException {
    MemoryPlan plan = new MemoryPlan(Map.of("activations", 8200 * MB));
    AvailableMemory memory = new AvailableMemory(root);
    String said =
        assertThrows(
                InvalidInputException.class,
                () -> MemoryCheck.require(plan, memory, "--batch-size"))
            .getMessage();
    for (String part : new String[] {"8.6 GB", "8.5 GB", "8.4 GB", "--batch-size", "--no-memory"}) {
      assertTrue(said.contains(part), said);
    }
    // Memory that the process has already is not needed again.
    MemoryCheck.require(new MemoryPlan(Map.of("activations", 8100 * MB)), memory, "--batch-size");
  }
}
