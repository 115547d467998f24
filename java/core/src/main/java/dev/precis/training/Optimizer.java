package dev.precis.training;

import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.ops.Ops;
import dev.precis.ops.Update;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.io.Serializable;
import java.lang.foreign.Arena;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Updates parameters by their gradients. The formulas stand in precis.h. They are PyTorch's, and
 * for Adafactor those of transformers at a given learning rate.
 */
public abstract class Optimizer {
  /**
   * Algorithms: AdamW (Loshchilov and Hutter 2019), Adam (Kingma and Ba 2015), SGD with momentum,
   * and Adafactor (Shazeer and Stern 2018).
   */
  public enum Kind {
    ADAMW,
    ADAM,
    SGD,
    ADAFACTOR
  }

  /**
   * Settings of an optimizer.
   *
   * @param weightDecay decoupled for AdamW and Adafactor, L2 for Adam and SGD
   * @param beta1 decay of Adam's first moment
   * @param beta2 decay of Adam's second moment
   * @param epsilon added to the root of Adam's second moment
   * @param momentum of SGD
   * @param scaleParameter makes Adafactor's learning rate relative to a parameter's root mean
   *     square
   */
  public record Settings(
      Kind kind,
      float weightDecay,
      float beta1,
      float beta2,
      float epsilon,
      float momentum,
      boolean scaleParameter)
      implements Serializable {
    /** Returns the usual settings of an algorithm. */
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
   * Creates an optimizer with zero state.
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
   * Updates all parameters once.
   *
   * @param step from 1
   * @param gradientScale factor of the gradients, see {@link #clippingScale}
   */
  public abstract void step(long step, float learningRate, float gradientScale);

  /** Returns the optimizer's state by name. Checkpoints save it, and resuming writes to it. */
  public Map<String, Tensor> state() {
    return state;
  }

  Tensor remember(String name, Ops ops, Arena owner, long elements) {
    Tensor tensor = ops.zeros(owner, DType.FLOAT32, elements);
    state.put(name, tensor);
    return tensor;
  }

  private static final class Adam extends Optimizer {
    private final Tensor m;
    private final Tensor v;

    Adam(Settings settings, Parameters parameters, Ops ops, Arena owner) {
      super(settings, parameters, ops);
      m = remember("exp_avg", ops, owner, parameters.values().dim(0));
      v = remember("exp_avg_sq", ops, owner, parameters.values().dim(0));
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
              : remember("momentum", ops, owner, parameters.values().dim(0));
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
        remember(parameter.name() + ".row", ops, owner, value.dim(0));
        if (value.rank() == 2) {
          remember(parameter.name() + ".column", ops, owner, value.dim(1));
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
