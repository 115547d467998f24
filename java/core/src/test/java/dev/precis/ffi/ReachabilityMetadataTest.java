package dev.precis.ffi;

import static java.util.stream.Collectors.joining;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.ffi.generated.Precis;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Method;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/** The jar tells GraalVM's native-image of every kind of native call that the bindings make. */
class ReachabilityMetadataTest {
  private static final String FILE =
      "/META-INF/native-image/dev.precis/precis-core/reachability-metadata.json";

  private static String name(MemoryLayout layout) {
    return switch (layout) {
      case ValueLayout.OfInt _ -> "int";
      case ValueLayout.OfLong _ -> "long";
      case AddressLayout _ -> "void*";
      default -> throw new AssertionError("a name for " + layout + " is missing here");
    };
  }

  private static String signature(FunctionDescriptor function) {
    return function.returnLayout().map(ReachabilityMetadataTest::name).orElse("void")
        + function.argumentLayouts().stream()
            .map(ReachabilityMetadataTest::name)
            .collect(joining(", ", " (", ")"));
  }

  @Test
  void downcallsAreThoseOfTheBindings() throws Exception {
    Native.library();
    Set<String> called = new TreeSet<>();
    for (Method method : Precis.class.getMethods()) {
      if (method.getName().endsWith("$descriptor")) {
        called.add(signature((FunctionDescriptor) method.invoke(null)));
      }
    }
    assertTrue(called.size() > 3, called.toString());

    Set<String> registered = new TreeSet<>();
    for (JsonNode call : metadata().path("foreign").path("downcalls")) {
      registered.add(
          call.path("returnType").asString()
              + call.path("parameterTypes")
                  .valueStream()
                  .map(JsonNode::asString)
                  .collect(joining(", ", " (", ")")));
    }
    assertEquals(called, registered);
  }

  private static JsonNode metadata() throws IOException {
    try (InputStream in = Precis.class.getResourceAsStream(FILE)) {
      return new ObjectMapper().readTree(in);
    }
  }
}
