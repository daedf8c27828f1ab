"""The words of both explorers, explorer.html and page.py, in English and in Chinese.

Those that only one of the two shows stand together at the end. {names} are filled in by Python's `format`, and in
explorer.html by a line of JavaScript that does the same; <b class="with"> gives a word the color of its network.
"""

WORDS = {
    "en": {
        "title": "Batch Normalization: watch it train",
        "intro": 'The same network learns to read handwritten digits, <b class="without">without</b> and '
        '<b class="with">with</b> Batch Normalization. Change one thing, and see what becomes of both.',
        "other": "中文",
        "reset": "Back to the start",
        "replay": "▶ Replay",
        "activation": "activation",
        "depth": "hidden layers",
        "width": "units per layer",
        "gain": "initial gain",
        "rate": "learning rate",
        "batch": "rows per batch",
        "step": "step",
        "steps": "steps",
        "guessing": "guessing",
        "diverged": "✕ diverged",
        "by": "✕ diverged by step {step}",
        "losses": "Loss of the batches (nats)",
        "tries": "What to try",
        "find": "Can you find: one control that makes the network learn without Batch Normalization? A learning rate "
        "at which one network diverges and the other learns? A setting in which both fail?",
        "what": "What am I looking at?",
        "what_loss": "<b>Loss</b>: how wrong the network is on the batches it trains on; thick: the running mean. "
        "Pure guessing among ten digits gives 2.3.",
        "what_gradient": "<b>Gradient</b>: how strongly the loss asks each layer’s weights to move; layer 1 is next to "
        "the data. A slope across the layers is a vanishing or an exploding gradient.",
        "what_scale": "Both scales are logarithmic; a triangle stands for a value beyond the axis.",
        "what_gain": "<b>Initial gain</b> g: the initial weights have the standard deviation g / √inputs.",
        # explorer.html
        "without": "without",
        "with": "with",
        "layer": "layer",
        "loss": "loss",
        "comma": ", ",
        "now": "step {step}",
        "outcome": "Right answers for 500 new digits, after {steps} steps",
        "gradients": "Gradient of each layer’s weights (norm)",
        "recorded": "Recorded with minigrad: digits of 8 × 8 pixels, plain gradient descent (SGD), one random seed, "
        "losses as means of {group} steps. Another seed gives other numbers, so small differences mean nothing. "
        "minigrad’s course repeats its experiments over seeds, and the installed explorer trains anew as you move the "
        "controls.",
        # page.py
        "networks": {"without": "without", "with": "Batch Normalization", "layer": "Layer Normalization"},
        "optimizer": "optimizer",
        "seed": "random seed",
        "seconds": "slow motion (s)",
        "none": "Choose at least one network.",
        "trained": "They train <b>as fast as you move the controls</b>: the picture plays in slow motion what took a "
        "fraction of a second. A third network has Layer Normalization, which looks at one row at a time.",
        "loading": "Loading minigrad ...",
        "compiling": "Compiling the kernels for this machine: half a minute, the first time only ...",
        "end": "{steps} steps",
        "speed": "{steps} steps in {ms:.0f} ms",
        "ending": "loss {loss:.3g}, {accuracy:.0%} of new digits right",
        "outputs": "outputs of each layer",
        "norms": "norm of its gradient",
        "what_outputs": "<b>Outputs of each layer</b>: a histogram. Its height is the square root of the share, so "
        "that a spike does not flatten the rest. All in one place: the layer says the same whatever the digit. At the "
        "ends: it is saturated, and passes hardly any gradient.",
    },
    "zh-CN": {
        "title": "批量标准化（BN）：边调边看",
        "intro": '同一个网络学认手写数字，训练两遍：一遍<b class="without">不用 BN</b>，一遍<b class="with">使用 '
        "BN</b>。改动一个选项，看看两者会怎样。",
        "other": "English",
        "reset": "恢复初始设置",
        "replay": "▶ 重放",
        "activation": "激活函数",
        "depth": "隐藏层数",
        "width": "每层单元数",
        "gain": "初始增益",
        "rate": "学习率",
        "batch": "每批样本数",
        "step": "步",
        "steps": "步数",
        "guessing": "瞎猜",
        "diverged": "✕ 发散",
        "by": "✕ {step} 步之内发散",
        "losses": "各批的损失（nat）",
        "tries": "不妨试试",
        "find": "找找看：只动哪一个选项，能让不用 BN 的网络学会？哪个学习率让一个网络发散，另一个照样能学？"
        "什么设置让两个都失败？",
        "what": "图里画的是什么？",
        "what_loss": "<b>损失</b>：网络在训练用的那一批样本上错得多厉害，粗线是移动平均；在十个数字里瞎猜，"
        "损失是 2.3。",
        "what_gradient": "<b>梯度</b>：损失催促各层权重改动的力度，第 1 层紧挨着数据。一层层往回传，"
        "越来越小是梯度消失，越来越大是梯度爆炸。",
        "what_scale": "两者都用对数坐标；三角形表示数值超出坐标轴。",
        "what_gain": "<b>初始增益</b> g：初始权重的标准差是 g / √输入数。",
        "without": "不用 BN",
        "with": "使用 BN",
        "layer": "第几层",
        "loss": "损失",
        "comma": "，",
        "now": "第 {step} 步",
        "outcome": "训练 {steps} 步后，500 个新数字认对多少",
        "gradients": "各层权重的梯度（长度）",
        "recorded": "由 minigrad 事先训练并录下：8 × 8 像素的手写数字，普通梯度下降（SGD），只用一个随机种子，"
        "损失是每 {group} 步的平均。换个种子数字就会变，小差别不说明问题。课程里的实验都用多个种子重复；"
        "安装之后，交互演示会随着你的改动当场训练。",
        "networks": {"without": "不作标准化", "with": "批量标准化（BN）", "layer": "层标准化（LN）"},
        "optimizer": "优化器",
        "seed": "随机种子",
        "seconds": "慢放（秒）",
        "none": "至少选一个网络。",
        "trained": "<b>动一下控件，网络就当场重新训练</b>：训练只要零点几秒，图里放的是慢动作。"
        "还可以加上第三个网络，它用层标准化（LN），每次只看一个样本。",
        "loading": "正在载入 minigrad……",
        "compiling": "正在为这台电脑编译内核：大约半分钟，只有第一次需要……",
        "end": "{steps} 步",
        "speed": "{steps} 步，{ms:.0f} 毫秒",
        "ending": "损失 {loss:.3g}，新数字认对 {accuracy:.0%}",
        "outputs": "各层的输出",
        "norms": "梯度的长度",
        "what_outputs": "<b>各层的输出</b>：直方图，高度是占比的平方根，免得一根尖峰把其余的都压扁。挤在一处："
        "不管什么数字，这一层的回答都一样。堆在两端：单元饱和，几乎传不回梯度。",
    },
}

# What to try: settings other than those of the start, and in each language their name and what comes of them.
TRIES = [
    {
        "set": {},
        "en": (
            "Sigmoid, 8 layers (the start)",
            "Without Batch Normalization, the gradient shrinks to about a quarter per layer, and the layers near the "
            "data hardly move.",
        ),
        "zh-CN": (
            "Sigmoid，8 层（初始设置）",
            "不用 BN，梯度每往回传一层就缩小到四分之一左右，靠近数据的几层几乎不动。",
        ),
    },
    {
        "set": {"activation": "tanh"},
        "en": ("Tanh, gain 1", "With good initial weights, the network learns without Batch Normalization, too."),
        "zh-CN": ("Tanh，增益 1", "初始权重选得好，不用 BN 也学得会。"),
    },
    {
        "set": {"activation": "tanh", "gain": 0.1},
        "en": ("Tanh, gain 0.1", "Ten times smaller initial weights: only Batch Normalization forgives them."),
        "zh-CN": ("Tanh，增益 0.1", "初始权重小到十分之一：只有用了 BN 才扛得住。"),
    },
    {
        "set": {"activation": "tanh", "gain": 10.0},
        "en": (
            "Tanh, gain 10",
            "Ten times larger: without Batch Normalization, the units are saturated, and gradients explode towards the "
            "data.",
        ),
        "zh-CN": ("Tanh，增益 10", "初始权重大到十倍：不用 BN，单元饱和，梯度越往回传越大。"),
    },
    {
        "set": {"activation": "relu", "gain": 1.4, "rate": 1.0},
        "en": (
            "ReLU, gain 1.4, learning rate 1",
            "Steps this large are what Batch Normalization allows. Without it, the network diverges.",
        ),
        "zh-CN": ("ReLU，增益 1.4，学习率 1", "用了 BN，步子才能迈得这么大；不用就发散。"),
    },
    {
        "set": {"activation": "tanh", "batch": 4},
        "en": (
            "Tanh, 4 rows per batch",
            "Mean and variance of four rows are mostly noise. Here Batch Normalization does harm.",
        ),
        "zh-CN": ("Tanh，每批 4 个样本", "四个样本的均值和方差大半是噪声，这时 BN 反而有害。"),
    },
    {
        "set": {"activation": "relu", "gain": 1.4, "depth": 12},
        "en": (
            "ReLU, gain 1.4, 12 layers",
            "Look at the first step: with Batch Normalization, gradients grow by a fifth or so per layer towards the "
            "data (Yang et al. 2019).",
        ),
        "zh-CN": ("ReLU，增益 1.4，12 层", "看第 1 步：使用 BN 时，梯度每往回传一层增大两成左右（Yang 等，2019）。"),
    },
    # explorer.html has no recordings for these
    {
        "set": {"layer": True},
        "en": (
            "Sigmoid, 8 layers, Layer Normalization",
            "From layer to layer, all digits come to look more alike. Batch Normalization, which compares them, pulls "
            "them apart. Layer Normalization sees one at a time, and does not help.",
        ),
        "zh-CN": (
            "Sigmoid，8 层，LN",
            "一层一层传下去，不同的数字看起来越来越像。BN 拿样本互相比较，能把它们拉开；"
            "LN 每次只看一个样本，帮不上忙。",
        ),
    },
    {
        "set": {"activation": "tanh", "batch": 4, "layer": True},
        "en": (
            "Tanh, 4 rows per batch, Layer Normalization",
            "It needs no other rows, so small batches do it no harm.",
        ),
        "zh-CN": ("Tanh，每批 4 个样本，LN", "LN 用不着别的样本，小批量也就无妨。"),
    },
    {
        "set": {"optimizer": "Adam", "rate": 0.003},
        "en": (
            "Sigmoid, 8 layers, Adam",
            "Adam finds a step for each weight, however small its gradient. Deep sigmoids need Batch Normalization all "
            "the same.",
        ),
        "zh-CN": (
            "Sigmoid，8 层，Adam",
            "梯度再小，Adam 也会给每个权重找到合适的步长；可是很深的 sigmoid 网络仍然离不开 BN。",
        ),
    },
    {
        "set": {"activation": "relu", "gain": 1.4, "depth": 12, "optimizer": "Adam", "rate": 0.003},
        "en": (
            "ReLU, gain 1.4, 12 layers, Adam",
            "Good initial weights and Adam leave nothing to cure: without Batch Normalization it is as good.",
        ),
        "zh-CN": (
            "ReLU，增益 1.4，12 层，Adam",
            "初始权重选得好，又用 Adam，本来就没有病要治：不用 BN 一样好。",
        ),
    },
]
