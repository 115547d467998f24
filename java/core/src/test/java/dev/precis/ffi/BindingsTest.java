package dev.precis.ffi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.device.DeviceOptions;
import dev.precis.ffi.generated.Precis;
import dev.precis.ffi.generated.precis_context_info;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/** The committed bindings belong to the header as it is now, and to the library that was built. */
class BindingsTest {
  @Test
  void generatedFromThisHeader() throws Exception {
    byte[] header = Files.readAllBytes(Path.of("../../native/include/precis.h"));
    String recorded;
    try (var in = Native.class.getResourceAsStream("precis.h.sha256")) {
      recorded = new String(in.readAllBytes()).strip();
    }
    String actual = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(header));
    assertEquals(
        actual, recorded, "precis.h has changed: run scripts/generate-bindings and commit");
  }

  @Test
  void libraryHasTheSameVersion() {
    try (Context context = new Context(new DeviceOptions().threads(1))) {
      assertTrue(context.info().threads() == 1 && !context.info().isa().isEmpty());
      MemorySegment raw = precis_context_info.allocate(Arena.ofAuto());
      assertEquals(Precis.PRECIS_OK(), Precis.precis_context_describe(context.handle(), raw));
      assertEquals(Precis.PRECIS_ABI_VERSION(), precis_context_info.abi_version(raw));
    }
  }

  @Test
  void tensorsHaveTheLibrarysRanks() {
    long[] most = new long[Precis.PRECIS_MAX_RANK()];
    Arrays.fill(most, 1);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(4);
      assertEquals(most.length, Tensor.of(memory, DType.FLOAT32, most).rank());
      long[] more = Arrays.copyOf(most, most.length + 1);
      more[most.length] = 1;
      assertThrows(
          IllegalArgumentException.class, () -> Tensor.of(memory, DType.FLOAT32, more).rank());
    }
  }
}
