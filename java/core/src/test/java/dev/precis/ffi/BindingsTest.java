package dev.precis.ffi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.device.DeviceOptions;
import dev.precis.ffi.generated.Precis;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
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
      assertEquals(7, Precis.PRECIS_ABI_VERSION());
    }
  }
}
