//! The hosted providers that are known by name: where they answer, and which variable usually holds
//! their key.

/// A provider that is known by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name in other routers' files, and the name that it gets.
    pub name: &'static str,
    /// Its type.
    pub kind: &'static str,
    /// Where it answers; `None`: where its type answers, or where the file says.
    pub base_url: Option<&'static str>,
    /// The variable that usually holds its key; empty: none.
    pub key: &'static str,
    /// Whether its address differs from account to account, so that the file must say it.
    pub is_elsewhere: bool,
}

const fn openai(name: &'static str, base_url: &'static str, key: &'static str) -> Host {
    Host {
        name,
        kind: "openai",
        base_url: Some(base_url),
        key,
        is_elsewhere: false,
    }
}

const fn own_server(name: &'static str) -> Host {
    Host {
        name,
        kind: "openai",
        base_url: None,
        key: "",
        is_elsewhere: true,
    }
}

/// All of them. The addresses are those that the providers document for clients of OpenAI's API.
pub static HOSTS: [Host; 30] = [
    Host {
        name: "openai",
        kind: "openai",
        base_url: None,
        key: "OPENAI_API_KEY",
        is_elsewhere: false,
    },
    Host {
        name: "anthropic",
        kind: "anthropic",
        base_url: None,
        key: "ANTHROPIC_API_KEY",
        is_elsewhere: false,
    },
    Host {
        name: "azure",
        kind: "azure_openai",
        base_url: None,
        key: "AZURE_API_KEY",
        is_elsewhere: true,
    },
    Host {
        name: "ollama",
        kind: "ollama",
        base_url: None,
        key: "",
        is_elsewhere: false,
    },
    openai("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    openai("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    openai(
        "deepseek",
        "https://api.deepseek.com/v1",
        "DEEPSEEK_API_KEY",
    ),
    openai(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "GEMINI_API_KEY",
    ),
    openai(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
    ),
    openai("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
    openai(
        "together_ai",
        "https://api.together.xyz/v1",
        "TOGETHERAI_API_KEY",
    ),
    openai(
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_AI_API_KEY",
    ),
    openai("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    openai(
        "perplexity",
        "https://api.perplexity.ai",
        "PERPLEXITYAI_API_KEY",
    ),
    openai(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        "DEEPINFRA_API_KEY",
    ),
    openai(
        "nvidia_nim",
        "https://integrate.api.nvidia.com/v1",
        "NVIDIA_NIM_API_KEY",
    ),
    openai(
        "sambanova",
        "https://api.sambanova.ai/v1",
        "SAMBANOVA_API_KEY",
    ),
    openai(
        "cohere",
        "https://api.cohere.ai/compatibility/v1",
        "COHERE_API_KEY",
    ),
    openai("moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    openai(
        "dashscope",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
    ),
    own_server("azure_ai"),
    own_server("hosted_vllm"),
    own_server("vllm"),
    own_server("lm_studio"),
    own_server("llamafile"),
    own_server("xinference"),
    own_server("litellm_proxy"),
    own_server("openai_like"),
    own_server("custom_openai"),
    own_server("docker_model_runner"),
];

/// The provider with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Host> {
    let name = match name {
        "ollama_chat" => "ollama",
        "azure_text" => "azure",
        "text-completion-openai" => "openai",
        "cohere_chat" => "cohere",
        name => name,
    };
    HOSTS.iter().find(|host| host.name == name)
}
