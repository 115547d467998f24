package dev.precis.spark;

import dev.precis.alignment.policy.ResponseGenerator;
import dev.precis.alignment.policy.SamplingRequest;
import dev.precis.checkpoint.ModelFolder;
import dev.precis.device.DeviceOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.training.TrainableT5;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * The copies of a policy in an executor's process: one for each task that runs there at the same
 * time, kept for the next step.
 */
final class ResponsePolicies implements AutoCloseable {
  private final ResponseTask.Key key;
  private final Deque<Policy> idle = new ArrayDeque<>();

  ResponsePolicies(ResponseTask.Key key) {
    this.key = key;
  }

  /** A policy that one task uses. */
  private static final class Policy implements AutoCloseable {
    private final TrainableT5 t5;
    private final String arithmetic;
    private final ResponseGenerator generator;

    Policy(ResponseTask.Key key) {
      Path folder = ModelKey.here(key.model());
      DeviceOptions device = new DeviceOptions().threads(key.threads()).isa(key.isa());
      String hash = ModelFolder.weightsHash(folder);
      t5 = TrainableT5.lora(folder, key.lora(), key.dtype(), 0, 0, device);
      arithmetic = ModelKey.arithmetic(t5, hash);
      generator = new ResponseGenerator(t5.model());
    }

    ResponseTask.Outcome respond(float[] parameters, SamplingRequest request) {
      long wanted = t5.parameters().values().dim(0);
      if (parameters.length != wanted) {
        throw new InvalidInputException(
            "The driver's adapters have %d numbers, those of %s have %d: put the same model on all"
                .formatted(parameters.length, t5.folder(), wanted));
      }
      t5.parameters()
          .values()
          .write(
              to ->
                  MemorySegment.copy(
                      parameters, 0, to, ValueLayout.JAVA_FLOAT, 0, parameters.length));
      t5.update();
      return new ResponseTask.Outcome(null, arithmetic, generator.sample(request));
    }

    @Override
    public void close() {
      try (t5) {
        generator.close();
      }
    }
  }

  /** Responds with a copy that no other task uses, which is loaded if there is none. */
  ResponseTask.Outcome respond(float[] parameters, SamplingRequest request) {
    Policy policy = take();
    ResponseTask.Outcome outcome;
    try {
      outcome = policy.respond(parameters, request);
    } catch (RuntimeException | Error e) {
      policy.close();
      throw e;
    }
    synchronized (idle) {
      idle.push(policy);
    }
    return outcome;
  }

  private Policy take() {
    synchronized (idle) {
      // Loaded by one task at a time, so that two do not fill the memory.
      return idle.isEmpty() ? new Policy(key) : idle.pop();
    }
  }

  @Override
  public void close() {
    synchronized (idle) {
      idle.forEach(Policy::close);
      idle.clear();
    }
  }
}
