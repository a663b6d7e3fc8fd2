export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description The body of `POST …/members`. */
        AddMember: {
            member_group?: components["schemas"]["UserGroup"] | null;
            member_user?: components["schemas"]["UserEntity"] | null;
            /** Format: int64 */
            role_id?: number | null;
        };
        /** @description The project's own exceptions from vulnerability rules: none can be added yet. */
        Allowlist: {
            creation_time: string;
            /** Format: int64 */
            id?: number | null;
            items?: Record<string, never>[] | null;
            /** Format: int64 */
            project_id?: number | null;
            update_time: string;
        };
        /** @description The part of a project's exceptions from vulnerability rules that is checked. */
        AllowlistRequest: {
            /** Format: int64 */
            project_id?: number | null;
        };
        Component: {
            error?: string | null;
            name: string;
            status: string;
        };
        /** @description The body of `POST /users`. */
        CreateUser: {
            comment?: string | null;
            email?: string | null;
            password?: string | null;
            realname?: string | null;
            username?: string | null;
        };
        /** @description The response of `GET …/_deletable`: one of the two. */
        Deletable: {
            deletable?: boolean | null;
            message?: string | null;
        };
        /** @description Fields shown only to signed-in callers. */
        Details: {
            current_time: string;
            external_url: string;
            harbor_version: string;
            has_ca_root: boolean;
            notification_enable: boolean;
            project_creation_restriction: string;
            read_only: boolean;
            registry_storage_provider_name: string;
            registry_url: string;
        };
        /** @description A user in the search for signed-in callers. */
        Found: {
            /** Format: int64 */
            user_id: number;
            username: string;
        };
        /** @description The response of `GET /systeminfo`. */
        GeneralInfo: (components["schemas"]["Details"] | null) & {
            auth_mode: string;
            banner_message: string;
            oidc_provider_name: string;
            primary_auth_mode: boolean;
            self_registration: boolean;
        };
        /** @description The answer of `GET /health`. */
        Health: {
            components: components["schemas"]["Component"][];
            status: string;
        };
        /** @description Settings in a request. Those of proxy caches are dropped, as in Harbor. */
        Metadata: {
            auto_sbom_generation?: string | null;
            auto_scan?: string | null;
            enable_content_trust?: string | null;
            enable_content_trust_cosign?: string | null;
            prevent_vul?: string | null;
            public?: string | null;
            retention_id?: string | null;
            reuse_sys_cve_allowlist?: string | null;
            severity?: string | null;
        };
        /** @description The body of `PUT /users/{user_id}/password`. */
        Passwords: {
            new_password?: string | null;
            old_password?: string | null;
        };
        /** @description A permission of the caller. */
        Permission: {
            action: string;
            resource: string;
        };
        /** @description The body of `PUT /users/{user_id}`. */
        Profile: {
            comment?: string | null;
            email?: string | null;
            realname?: string | null;
        };
        /** @description A project in the API. */
        Project: {
            creation_time: string;
            /** Format: int64 */
            current_user_role_id?: number | null;
            current_user_role_ids?: number[] | null;
            cve_allowlist: components["schemas"]["Allowlist"];
            metadata?: {
                [key: string]: string;
            } | null;
            name: string;
            /** Format: int64 */
            owner_id: number;
            owner_name?: string | null;
            /** Format: int64 */
            project_id: number;
            /** Format: int64 */
            repo_count: number;
            update_time: string;
        };
        /** @description A membership in the API. */
        ProjectMember: {
            /** Format: int64 */
            entity_id: number;
            entity_name: string;
            /** @description `u` for users, `g` for groups. */
            entity_type: string;
            /** Format: int64 */
            id: number;
            /** Format: int64 */
            project_id: number;
            /** Format: int64 */
            role_id: number;
            role_name: string;
        };
        ProjectQuota: {
            hard: components["schemas"]["ProjectStorage"];
            used: components["schemas"]["ProjectStorage"];
        };
        /** @description The body of `POST` and `PUT /projects`. */
        ProjectRequest: {
            cve_allowlist?: components["schemas"]["AllowlistRequest"] | null;
            metadata?: components["schemas"]["Metadata"] | null;
            project_name?: string | null;
            public?: boolean | null;
            /** Format: int64 */
            registry_id?: number | null;
            /** Format: int64 */
            storage_limit?: number | null;
        };
        /** @description Bytes. */
        ProjectStorage: {
            /** Format: int64 */
            storage: number;
        };
        /** @description A quota as the API shows it. */
        Quota: {
            creation_time: string;
            hard: components["schemas"]["Storage"];
            /** Format: int64 */
            id: number;
            ref: components["schemas"]["Reference"];
            update_time: string;
            used: components["schemas"]["Storage"];
        };
        /** @description The body of `PUT /quotas/{id}`. */
        QuotaRequest: {
            hard?: components["schemas"]["Storage"] | null;
        };
        /** @description The project. */
        Reference: {
            /** Format: int64 */
            id: number;
            name: string;
            owner_name: string;
        };
        /** @description A repository in the API. */
        Repository: {
            /** Format: int64 */
            artifact_count: number;
            creation_time: string;
            /** Format: int64 */
            id: number;
            name: string;
            /** Format: int64 */
            project_id: number;
            /** Format: int64 */
            pull_count: number;
            update_time: string;
        };
        /** @description The body of `PUT …/members/{mid}`. */
        RoleRequest: {
            /** Format: int64 */
            role_id?: number | null;
        };
        /** @description A session in the API. */
        Session: {
            /** @description The address that it began from. */
            address: string;
            /** @description What the browser called itself then. */
            agent: string;
            created_at: string;
            /** @description Whether the request was made with it. */
            current: boolean;
            expires_at: string;
            /** Format: int64 */
            id: number;
            renewed_at: string;
        };
        /** @description The form of `POST /c/login`. */
        SignIn: {
            /** @default  */
            password: string;
            /** @default  */
            principal: string;
        };
        /** @description Bytes. */
        Storage: {
            /** Format: int64 */
            storage: number;
        };
        /** @description The response of `GET …/summary`. */
        Summary: {
            /** Format: int64 */
            developer_count?: number;
            /** Format: int64 */
            guest_count?: number;
            /** Format: int64 */
            limited_guest_count?: number;
            /** Format: int64 */
            maintainer_count?: number;
            /** Format: int64 */
            project_admin_count?: number;
            quota?: components["schemas"]["ProjectQuota"] | null;
            /** Format: int64 */
            repo_count: number;
        };
        /** @description The body of `PUT /users/{user_id}/sysadmin`. */
        SysadminFlag: {
            sysadmin_flag?: boolean | null;
        };
        /** @description A user in the API. */
        User: {
            admin_role_in_auth: boolean;
            comment?: string;
            creation_time: string;
            email?: string | null;
            realname?: string;
            sysadmin_flag: boolean;
            update_time: string;
            /** Format: int64 */
            user_id: number;
            username: string;
        };
        UserEntity: {
            /** Format: int64 */
            user_id?: number | null;
            username?: string | null;
        };
        /** @description The form of `POST /c/userExists`. */
        UserExists: {
            /**
             * @description `username` or `email`.
             * @default
             */
            target: string;
            /** @default  */
            value: string;
        };
        UserGroup: {
            group_name?: string | null;
            /** Format: int64 */
            id?: number | null;
            ldap_group_dn?: string | null;
        };
        /** @description The answer of `GET /api/version`. */
        Version: {
            version: string;
        };
        /** @description Bytes of a file system. */
        Volume: {
            /** Format: int64 */
            free: number;
            /** Format: int64 */
            total: number;
        };
        /** @description The response of `GET /systeminfo/volumes`. */
        Volumes: {
            storage: components["schemas"]["Volume"][];
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
