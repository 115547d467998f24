package dev.precis.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.precis.device.DeviceOptions;
import dev.precis.tensor.DType;
import dev.precis.tensor.MirroredMemory;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

/** On the CPU the two sides are one memory: nothing is copied, whatever is asked for. */
class MirroredMemoryTest {
  @Test
  void hostAndCpuShareOneMemory() {
    try (Ops ops = Ops.open(new DeviceOptions().device("cpu").threads(1));
        Workspace workspace = ops.newWorkspace()) {
      long bytes = MirroredMemory.size(DType.INT64, 3) + MirroredMemory.size(DType.FLOAT32, 6);
      MirroredMemory memory = new MirroredMemory(bytes, workspace);
      MirroredMemory.Array longs = memory.take(DType.INT64, 3);
      MirroredMemory.Array floats = memory.take(DType.FLOAT32, 6);
      assertEquals(64, floats.begin() - longs.begin());
      Tensor all = floats.tensor(0, 2, 3);
      assertEquals(floats.host().address(), all.address().address());
      assertEquals(longs.host().address(), longs.tensor(0, 3).address().address());
      floats.host().setAtIndex(ValueLayout.JAVA_FLOAT, 4, 2.5f);
      assertArrayEquals(new float[] {0, 2.5f, 0}, all.row(1));
      memory.upload();
      floats.upload(0, 6);
      memory.download();
      floats.download(0, 6);
      assertEquals(2.5f, floats.tensor(4, 1).get(0, 0));
      ops.zero(all);
      assertEquals(0, floats.host().getAtIndex(ValueLayout.JAVA_FLOAT, 4));
      assertThrows(IllegalArgumentException.class, () -> floats.tensor(5, 2));
      assertThrows(IndexOutOfBoundsException.class, () -> memory.take(DType.INT32, 1));
    }
  }
}
