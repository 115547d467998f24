package dev.precis.training;

import dev.precis.ffi.Context;
import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.ops.Ops;
import dev.precis.ops.Update;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Changes parameters by their gradients. The formulas are those of precis.h, which are PyTorch's
 * and, of Adafactor, transformers' for a given learning rate.
 */
public abstract class Optimizer {
  /** Which one. */
  public enum Kind {
    ADAMW,
    ADAM,
    SGD,
    ADAFACTOR
  }

  /**
   * Its settings.
   *
   * @param weightDecay decoupled for AdamW and Adafactor, L2 for Adam and SGD
   * @param beta1 of Adam and AdamW
   * @param beta2 likewise
   * @param epsilon likewise
   * @param momentum of SGD
   * @param scaleParameter of Adafactor: the learning rate is relative to a parameter's size
   */
  public record Settings(
      Kind kind,
      float weightDecay,
      float beta1,
      float beta2,
      float epsilon,
      float momentum,
      boolean scaleParameter) {
    /** The usual settings of a kind. */
    public static Settings of(Kind kind, float weightDecay) {
      return new Settings(kind, weightDecay, 0.9f, 0.999f, 1e-8f, 0, false);
    }
  }

  final Ops ops;
  final Parameters parameters;
  final Settings settings;
  private final Map<String, Tensor> state = new LinkedHashMap<>();

  private Optimizer(Settings settings, Parameters parameters, Ops ops) {
    this.settings = settings;
    this.parameters = parameters;
    this.ops = ops;
  }

  /**
   * An optimizer with fresh state.
   *
   * @param owner frees the state
   */
  public static Optimizer create(Settings settings, Parameters parameters, Ops ops, Arena owner) {
    return switch (settings.kind) {
      case ADAM, ADAMW -> new Adam(settings, parameters, ops, owner);
      case SGD -> new Sgd(settings, parameters, ops, owner);
      case ADAFACTOR -> new Adafactor(settings, parameters, ops, owner);
    };
  }

  /**
   * Returns the factor that clips gradients by their norm (Pascanu et al. 2013): {@code min(1,
   * maxNorm / (norm + 1e-6))}.
   *
   * @param norm of all gradients together
   * @param maxNorm 0: off
   */
  public static float clippingScale(double norm, float maxNorm) {
    return maxNorm > 0 ? (float) Math.min(1, maxNorm / (norm + 1e-6)) : 1;
  }

  /**
   * One step.
   *
   * @param step from 1
   * @param gradientScale what gradients are multiplied by first: clipping
   */
  public abstract void step(long step, float learningRate, float gradientScale);

  /** What it remembers, by name: to be saved, and to be written to when resuming. */
  public Map<String, Tensor> state() {
    return state;
  }

  Tensor remember(String name, Context context, Arena owner, long elements) {
    Tensor tensor =
        Tensor.of(context.allocate(owner, Math.max(1, elements) * 4), DType.FLOAT32, elements)
            .on(context);
    state.put(name, tensor);
    return tensor;
  }

  private static final class Adam extends Optimizer {
    private final Tensor m;
    private final Tensor v;

    Adam(Settings settings, Parameters parameters, Ops ops, Arena owner) {
      super(settings, parameters, ops);
      m = remember("exp_avg", ops.context(), owner, parameters.values().dim(0));
      v = remember("exp_avg_sq", ops.context(), owner, parameters.values().dim(0));
    }

    @Override
    public void step(long step, float learningRate, float gradientScale) {
      ops.adam(
          parameters.values(),
          parameters.gradients(),
          m,
          v,
          new Update.Adam(
              settings.beta1,
              settings.beta2,
              settings.epsilon,
              settings.weightDecay,
              settings.kind == Kind.ADAMW),
          new Update(step, learningRate, gradientScale));
    }
  }

  private static final class Sgd extends Optimizer {
    private final Tensor buffer;

    Sgd(Settings settings, Parameters parameters, Ops ops, Arena owner) {
      super(settings, parameters, ops);
      buffer =
          settings.momentum == 0
              ? null
              : remember("momentum", ops.context(), owner, parameters.values().dim(0));
    }

    @Override
    public void step(long step, float learningRate, float gradientScale) {
      ops.sgd(
          parameters.values(),
          parameters.gradients(),
          buffer,
          new Update.Sgd(settings.momentum, settings.weightDecay),
          new Update(step, learningRate, gradientScale));
    }
  }

  private static final class Adafactor extends Optimizer {
    Adafactor(Settings settings, Parameters parameters, Ops ops, Arena owner) {
      super(settings, parameters, ops);
      for (Parameter parameter : parameters.all()) {
        Tensor value = parameter.value();
        remember(parameter.name() + ".row", ops.context(), owner, value.dim(0));
        if (value.rank() == 2) {
          remember(parameter.name() + ".column", ops.context(), owner, value.dim(1));
        }
      }
    }

    @Override
    public void step(long step, float learningRate, float gradientScale) {
      Update.Adafactor how = new Update.Adafactor(settings.weightDecay, settings.scaleParameter);
      Update update = new Update(step, learningRate, gradientScale);
      for (Parameter parameter : parameters.all()) {
        ops.adafactor(
            parameter.value(),
            parameter.gradient(),
            state().get(parameter.name() + ".row"),
            state().get(parameter.name() + ".column"),
            how,
            update);
      }
    }
  }
}
